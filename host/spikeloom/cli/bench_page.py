"""The page that ``spikeloom bench cycles`` writes: tables and plots of the kept results."""

def write_page(page, results):
    pass
