"""The hash of what a page shows."""

from colintern.images.decode import decode
from colintern.images.pixels import pixels_sha256
from colintern.storage import sha256_of_bytes
from tests.helpers import png


def test_what_a_page_shows():
    """A hash of other pixels, sizes or bytes: equal for a copy, another when the page is turned."""
    one, anew, turned = (png(1, 40, 30), png(1, 40, 30, compress_level=1), png(1, 30, 40))
    assert one != anew
    assert pixels_sha256(decode(one)) == pixels_sha256(decode(anew))
    assert decode(one).tobytes() == decode(turned).tobytes()
    assert pixels_sha256(decode(one)) != pixels_sha256(decode(turned))
    expected = b"40x30\n" + decode(one).tobytes()
    assert pixels_sha256(decode(one)) == sha256_of_bytes(expected)
