"""What one page takes of memory while it is decoded."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE = 3_000
BYTES_PER_PIXEL = 8  # what `decode` promises
FIXED_BYTES = 50_000_000

# Peak memory only grows: what it is after each file is compared with what it was before all.
PEAKS = """
import json, sys
from pathlib import Path
from colintern.images.decode import decode, read_size

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

peaks = {"": peak()}
for path in map(Path, sys.argv[1:]):
    decode(path.read_bytes())
    peaks[path.name] = peak()
print(json.dumps(peaks))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
def test_a_page_takes_a_few_bytes_a_pixel_whatever_its_mode(tmp_path):
    """A 16-bit grey page of 100 megapixels in 3.4 GB, one with transparency in 1.9 GB."""
    values = np.tile(np.arange(SIDE, dtype=np.uint16), (SIDE, 1))
    deep, grey = Image.fromarray(values), Image.fromarray(values.astype(np.uint8))
    floats = Image.fromarray(values.astype(np.float32))
    packed = {"format": "TIFF", "compression": "tiff_lzw"}
    for name, picture, options in (
        ("1 bit", grey.convert("1"), {"format": "PNG"}),
        ("grey", grey, {"format": "PNG"}),
        ("RGB", grey.convert("RGB"), {"format": "JPEG"}),
        ("CMYK", grey.convert("CMYK"), packed),
        ("16 bits", deep, {"format": "PNG"}),
        ("16 bits, transparent", deep, {"format": "PNG", "transparency": 7}),
        ("floats", floats, packed),
        ("palette, transparent", grey.convert("P"), {"format": "PNG", "transparency": 7}),
        ("grey with transparency", grey.convert("LA"), {"format": "PNG"}),
        ("RGB with transparency", grey.convert("RGBA"), {"format": "PNG"}),
    ):
        picture.save(tmp_path / name, **options)
    files = sorted(map(str, tmp_path.iterdir()))
    command = [sys.executable, "-c", PEAKS, *files]
    peaks = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    before = peaks.pop("")
    assert len(peaks) == len(files)
    allowed = BYTES_PER_PIXEL * SIDE**2 + FIXED_BYTES
    too_much = {name: peak - before for name, peak in peaks.items() if peak - before > allowed}
    assert not too_much, allowed
    assert max(peaks.values()) - before > 4 * SIDE**2  # it was measured
