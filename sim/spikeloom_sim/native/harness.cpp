// Drives a compiled array in batches: words in, words out, no call from Python in between.
//
// Compiled with one of two engines (-DVERILATOR_ENGINE or -DCXXRTL_ENGINE) and one of two tops: the array's own two
// streams, or with -DPINS the pins of the UART in front of it, at -DDIVISOR cycles a bit.

#include <cstddef>
#include <cstdint>
#include <memory>

#ifdef VERILATOR_ENGINE
#include "Vtop.h"
#include "verilated.h"
#define READ(name) model.name
#define WRITE(name, value) model.name = (value)
#define CLK clk
#define RST rst
#define RX_VALID rx___05Fvalid
#define RX_READY rx___05Fready
#define RX_PAYLOAD rx___05Fpayload
#define TX_VALID tx___05Fvalid
#define TX_READY tx___05Fready
#define TX_PAYLOAD tx___05Fpayload
#define PIN_RX rx
#define PIN_TX tx
#else
#include "top.cc"
#define READ(name) model.name.template get<uint32_t>()
#define WRITE(name, value) model.name.template set<uint32_t>(value)
#define CLK p_clk
#define RST p_rst
#define RX_VALID p_rx____valid
#define RX_READY p_rx____ready
#define RX_PAYLOAD p_rx____payload
#define TX_VALID p_tx____valid
#define TX_READY p_tx____ready
#define TX_PAYLOAD p_tx____payload
#define PIN_RX p_rx
#define PIN_TX p_tx
#endif

namespace {

struct Board {
#ifdef VERILATOR_ENGINE
    VerilatedContext context;
    Vtop model{&context, "top"};
    void settle() { model.eval(); }
#else
    cxxrtl_design::p_top model;
    void settle() { model.step(); }
#endif
    uint64_t cycles = 0;

    // The half of a cycle in which inputs are set and outputs read, then the rising edge.
    void low() {
        WRITE(CLK, 0);
        settle();
    }
    void high() {
        WRITE(CLK, 1);
        settle();
        ++cycles;
    }

    Board() {
        WRITE(RST, 1);
#ifdef PINS
        WRITE(PIN_RX, 1);
#else
        WRITE(RX_VALID, 0);
        WRITE(TX_READY, 0);
#endif
        for (int n = 0; n < 4; ++n) {
            low();
            high();
        }
        WRITE(RST, 0);
    }

#ifdef PINS
    // A UART of 8 data bits without parity, from the other side of the pins.
    int send_wait = 0, send_bits = 0;
    uint32_t send_frame = 1;
    int take_wait = 0, take_bits = 0;
    uint32_t take_frame = 0;

    // Next level of the board's input pin; true when a byte was taken from the queue.
    bool drive(bool available, uint32_t byte) {
        bool taken = false;
        if (send_wait == 0) {
            if (send_bits == 0 && available) {
                send_frame = byte << 1 | 0x200;
                send_bits = 10;
                taken = true;
            }
            if (send_bits > 0) {
                WRITE(PIN_RX, send_frame & 1);
                send_frame >>= 1;
                --send_bits;
                send_wait = DIVISOR - 1;
            }
        } else {
            --send_wait;
        }
        return taken;
    }

    // Look at the board's output pin; true when a byte is complete.
    bool sample(uint32_t &byte) {
        uint32_t level = READ(PIN_TX) & 1;
        if (take_bits == 0) {
            if (!level) {
                take_bits = 9;
                take_wait = DIVISOR + DIVISOR / 2;
            }
            return false;
        }
        if (--take_wait > 0) return false;
        take_wait = DIVISOR;
        if (--take_bits > 0) {
            take_frame = take_frame >> 1 | level << 7;
            return false;
        }
        byte = take_frame & 0xff;
        return true;
    }
#endif

    // Until all input is taken and `want` items came out, the output is full, or `budget` cycles are over.
    void run(const uint32_t *in, size_t count, size_t &taken, uint32_t *out, size_t room, size_t want, size_t &given,
             uint64_t budget) {
        taken = given = 0;
        for (; budget > 0 && given < room && (taken < count || given < want); --budget) {
#ifdef PINS
            taken += drive(taken < count, taken < count ? in[taken] : 0);
            low();
            uint32_t byte;
            if (sample(byte)) out[given++] = byte;
            high();
#else
            bool offer = taken < count;
            WRITE(RX_VALID, offer);
            WRITE(RX_PAYLOAD, offer ? in[taken] : 0);
            WRITE(TX_READY, 1);
            low();
            bool accepted = offer && READ(RX_READY);
            bool come = READ(TX_VALID);
            if (come) out[given++] = READ(TX_PAYLOAD);
            high();
            taken += accepted;
#endif
        }
#ifndef PINS
        WRITE(RX_VALID, 0);
        WRITE(TX_READY, 0);
#endif
    }
};

}  // namespace

extern "C" {
Board *board_new() { return new Board; }
void board_delete(Board *board) { delete board; }
uint64_t board_cycles(const Board *board) { return board->cycles; }
void board_run(Board *board, const uint32_t *in, size_t count, size_t *taken, uint32_t *out, size_t room, size_t want,
               size_t *given, uint64_t budget) {
    board->run(in, count, *taken, out, room, want, *given, budget);
}
}
