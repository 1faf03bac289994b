"""The interface between a memory of the ring and the RAMs of a chip."""

from dataclasses import dataclass

from amaranth import *

from spikeloom.contract.layout import COLUMN_BITS


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a memory holds and how it is used.

    Attributes:
        depth: records.
        width: bits of a record. The bus sees columns of 32 bits of it.
        immediate: what is read is there in the same cycle; only LUT RAM can.
        registered: what is read is there another cycle later, out of a register.
        writable: the core writes, too.
        parts: equal parts of a record that the core can write one without the other.
        ahead: the core's address has the bus's in it already.
        spread: made of so many RAMs that each column has registers of its own on the way to them.
    """

    depth: int
    width: int
    writable: bool
    immediate: bool = False
    registered: bool = False
    parts: int = 1
    ahead: bool = False
    spread: bool = False

    @property
    def fast(self) -> bool:
        """What is read is needed early in the next cycle; otherwise it goes straight to registers."""
        return not (self.immediate or self.registered or self.writable)

    @property
    def early(self) -> bool:
        """Both of the core's addresses have the bus's in them already, in registers that few columns share."""
        return self.immediate and self.ahead


class Access:
    """Signals of a memory: the core's read and write port, and the bus.

    The bus is used at rest only: never together with ``write_enable``, and what the core reads then is lost. What a
    read gives that collides with a write of the core to the same record is **not defined**: block RAMs differ, and
    logic that defines it costs more than the RAM's user needs to do without.

    Attributes
    ----------
    addresses, enable, zero :
        Read port of the core, the address once for each column: the record is there one cycle later, or at once where
        ``immediate``; it stays while ``enable`` is low. With ``zero`` it becomes 0, whatever ``enable`` says, where
        ``registered`` only with it.
    data :
        Driven by the memory: the record, where ``registered`` after two cycles with ``enable``.
    write_enable, write_address, write_data :
        Write port of the core, an enable a part; where ``early`` without the first two.
    select, records :
        An access of the bus to this memory, and to which record, by column.
    uses :
        It reads or writes a column: one bit for each.
    writes, bus_words :
        It writes a column: one bit for each, and the word. Where ``early`` the core's writes are in it, too.
    write_addresses, selects :
        Only where ``early``: where core or bus write, and whether it is the bus, by column.
    hides :
        It reads, but another column: this one is to read as zero, so that columns can be ored.
    answer :
        Driven by the memory: the word that was asked for two cycles ago (one, where registers are shared); anything if
        none was.
    """

    def __init__(self, shape: Shape, address_bits: int, columns: int):
        self.shape = shape
        copies = columns if shape.spread else 1
        each = columns // copies
        self.write_addresses: list[Value] = []
        self.selects: list[Value] = []
        # Two registers with the same input become one in synthesis, unless they begin differently (of no meaning here).
        self.addresses = [
            Signal(address_bits, name=f"address{n}", init=-(n % 2) & ((1 << address_bits) - 1), reset_less=True)
            for n in range(copies)
        ] * each
        self.enable = Signal()
        self.zero = Signal()
        self.data = Signal(shape.width)
        self.write_enable = Signal(shape.parts)
        self.write_address = Signal(address_bits)
        self.write_data = Signal(shape.width)
        self.select = Signal()
        self.uses = Signal(columns)
        self.records = [Signal(address_bits, name=f"record{n}", reset_less=True) for n in range(copies)] * each
        self.bus_words = [Signal(COLUMN_BITS, name=f"bus_word{n}", reset_less=True) for n in range(copies)] * each
        self.writes = Signal(columns)
        self.hides = Signal(columns)
        self.answer = Signal(COLUMN_BITS)

    def shared_address(self, column: int) -> Value:
        """Of a read port that core and bus share, where the memory is not spread."""
        address = self.addresses[column]
        return address if self.shape.ahead else Mux(self.select, self.records[column], address)

    def give(self, m: Module, piece: "Piece", value: Value) -> None:
        """A piece of the record, as the RAM gives it one cycle later."""
        data = self.data[piece.low : piece.high]
        if self.shape.registered:
            with m.If(self.enable):
                m.d.sync += data.eq(value)
        else:
            m.d.comb += data.eq(value)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bits ``low`` to ``high`` of a record: part of one column, and of one part that the core writes."""

    low: int
    high: int
    column: int
    part: int

    @property
    def width(self) -> int:
        return self.high - self.low

    @property
    def shift(self) -> int:
        """Place of the lowest bit in its column."""
        return self.low - self.column * COLUMN_BITS


def pieces(shape: Shape, widest: int = COLUMN_BITS) -> list[Piece]:
    """The record cut at columns and parts, into pieces of at most ``widest`` bits."""
    part_bits = shape.width // shape.parts
    result: list[Piece] = []
    low = 0
    while low < shape.width:
        column, part = low // COLUMN_BITS, low // part_bits
        high = min(low + widest, (column + 1) * COLUMN_BITS, (part + 1) * part_bits)
        result.append(Piece(low, high, column, part))
        low = high
    return result


def join(m: Module, access: Access, shape: Shape, read: list[tuple[Piece, Value]], late: bool = False) -> None:
    """The answer to the bus, a cycle behind the RAMs: the columns ored, of which all but one are zero.

    ``late``: what was read comes out of a register already.
    """
    columns = -(-shape.width // COLUMN_BITS)
    words = [Signal(COLUMN_BITS, name=f"word{n}") for n in range(columns)]
    for piece, value in read:
        # From a block RAM to a register there is time for the way and nothing else.
        domain = m.d.comb if late else m.d.sync
        domain += words[piece.column][piece.shift : piece.shift + piece.width].eq(value)
    answer = words[0]
    for word in words[1:]:
        answer = answer | word
    m.d.comb += access.answer.eq(answer)
