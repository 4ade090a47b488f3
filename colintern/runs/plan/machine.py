"""The machines that a plan is made for: what a device can do, and how much of it we reach."""

from dataclasses import dataclass
from types import MappingProxyType

from colintern.errors import ConfigError

CPU = "cpu"


@dataclass(frozen=True)
class Device:
    """A type of GPU, or the CPU cores of one worker.

    Attributes:
        teraflops: 10**12 operations in a second, in dense matrix products: bfloat16 on a GPU,
            float32 on a CPU.
        memory_bytes: of a GPU; None for a CPU.
    """

    teraflops: float
    memory_bytes: int | None = None


# Dense bfloat16 rates (without sparsity) and memory, from NVIDIA's data sheets of each type; of the
# SXM form where there are several. The CPU's is that of a worker with a few cores, as in
# `features.cutting`.
DEVICES = MappingProxyType(
    {
        CPU: Device(0.1),
        "A10G": Device(70, 24 * 10**9),
        "L4": Device(121, 24 * 10**9),
        "A100": Device(312, 80 * 10**9),
        "H100": Device(989, 80 * 10**9),
        "H200": Device(989, 141 * 10**9),
        "B200": Device(2_250, 180 * 10**9),
    }
)


@dataclass(frozen=True)
class Shares:
    """The share of a device's rate that each kind of work reaches.

    Attributes:
        encoding: the backbone's forward pass.
        training: steps of the heads.
        search: exact MaxSim, in float32.
    """

    encoding: float
    training: float
    search: float


# Measured on an H200 with InternVL3-1B's sizes (benchmarks/gpu.py): encoding 0.35, of which 0.3 is
# taken; a training step 0.03 without fused kernels; search 0.02, as it computes in float32.
_GPU_SHARES = Shares(0.3, 0.03, 0.02)
# Measured with the demo (benchmarks/plan.py), against a large float32 matrix product.
_CPU_SHARES = Shares(0.5, 0.3, 0.6)


@dataclass(frozen=True)
class Machine:
    """What a plan assumes of the machines; every number can be given.

    Attributes:
        name: of the device.
        num_devices: GPUs, or workers on CPUs.
        teraflops: of one device, see `Device`.
        memory_bytes: of a GPU; None for a CPU.
        shares: how much of that the stages reach.
        is_disk: whether features are on a disk, which all workers share; else each has a
            connection of its own to an object store.
        read_bytes_per_second: of features, from the disk or through one connection.
        tiling_bytes_per_second: pixels of tiles, three bytes each, that one CPU core decodes and
            cuts.
        cores_per_device: CPU cores that decode pages for a device.
    """

    name: str
    num_devices: int
    teraflops: float
    memory_bytes: int | None
    shares: Shares
    is_disk: bool
    read_bytes_per_second: float
    tiling_bytes_per_second: float
    cores_per_device: int

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.name != CPU


@dataclass(frozen=True)
class Prices:
    """What is paid, in any currency; what is not given is not reckoned."""

    gpu_hour: float | None = None
    terabyte_month: float | None = None


# Assumed, and told with the plan: a disk's, and an object store's from one machine.
DISK_BYTES_PER_SECOND = 1e9
OBJECT_STORE_BYTES_PER_SECOND = 2e8
# Measured on one core: an A4 page is read, decoded and cut into 7 tiles of 448 x 448 in 0.11 s.
_TILING_BYTES_PER_SECOND = 7 * 448 * 448 * 3 / 0.11


def machine_of(
    name: str,
    num_devices: int,
    *,
    cores_per_device: int,
    is_disk: bool,
    teraflops: float | None = None,
    utilisation: float | None = None,
    read_bytes_per_second: float | None = None,
) -> Machine:
    """A machine with a number of devices.

    Args:
        name: of the type, in any case; see `DEVICES`.
        num_devices: how many there are.
        cores_per_device: CPU cores beside each.
        is_disk: whether features are on a disk.
        teraflops: of one device; None takes that of the table.
        utilisation: the share of them that encoding reaches; None takes what was measured.
        read_bytes_per_second: of features; None takes what is assumed.

    Raises:
        ConfigError: there is no such type.
    """
    types = {key.lower(): key for key in DEVICES}
    if name.lower() not in types:
        raise ConfigError(f"--gpu {name}: is not known; choose one of {', '.join(DEVICES)}")
    key = types[name.lower()]
    shares = _GPU_SHARES if key != CPU else _CPU_SHARES
    if utilisation is not None:
        shares = Shares(utilisation, shares.training, shares.search)
    assumed = DISK_BYTES_PER_SECOND if is_disk else OBJECT_STORE_BYTES_PER_SECOND
    return Machine(
        name=key,
        num_devices=num_devices,
        teraflops=teraflops or DEVICES[key].teraflops,
        memory_bytes=DEVICES[key].memory_bytes,
        shares=shares,
        is_disk=is_disk,
        read_bytes_per_second=read_bytes_per_second or assumed,
        tiling_bytes_per_second=_TILING_BYTES_PER_SECOND,
        cores_per_device=cores_per_device,
    )
