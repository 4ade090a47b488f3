"""Principal components of token features: fewer numbers per token, by a linear map.

Shapes: T tokens, H backbone width, K numbers that are kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from colintern import storage
from colintern.errors import StorageError

BASIS = "basis.safetensors"


@dataclass(frozen=True)
class Basis:
    """A mean, and the directions in which tokens differ most from it.

    Attributes:
        mean_H: float32.
        components_KH: float32, orthonormal rows, the direction of the largest variance first.
    """

    mean_H: Tensor
    components_KH: Tensor

    def project(self, token_TH: Tensor) -> Tensor:
        """The coordinates of tokens, float32 [T, K]: (x - mean) @ components.T."""
        return (token_TH.float() - self.mean_H) @ self.components_KH.T


def fit_basis(parts: Iterable[Tensor], dim: int) -> Basis:
    """The first principal components of tokens, computed in float64.

    Args:
        parts: token_TH, some at a time, on the CPU; one after the other, in an order that is given.
        dim: K, at most H.
    """
    count, sum_H, product_HH = 0, torch.zeros(()), torch.zeros(())
    for part in parts:
        token_TH = part.double()
        count += len(token_TH)
        sum_H = sum_H + token_TH.sum(dim=0)
        product_HH = product_HH + token_TH.T @ token_TH
    mean_H = sum_H / count
    axes_HH = principal_axes(product_HH / count - torch.outer(mean_H, mean_H))
    return Basis(mean_H.float(), axes_HH[:dim].float().contiguous())


def principal_axes(moment_HH: Tensor) -> Tensor:
    """The eigenvectors of a symmetric matrix as rows, that of the largest eigenvalue first.

    An axis has one of two signs: the one in which its largest number is positive.

    Args:
        moment_HH: float64, as a covariance, or a second moment.

    Returns:
        axes_HH, float64, orthonormal.
    """
    _, vectors_HH = torch.linalg.eigh(moment_HH)
    axes_HH = vectors_HH.T.flip(0)  # eigenvalues come in ascending order
    largest_H1 = axes_HH.abs().argmax(dim=1, keepdim=True)
    return axes_HH * axes_HH.gather(1, largest_H1).sign()


def write_basis(path: str, basis: Basis) -> None:
    """Write a basis: float32 `mean` [H] and `components` [K, H]."""
    tensors = {"mean": basis.mean_H, "components": basis.components_KH}
    storage.write_bytes(path, save(tensors))


@dataclass(frozen=True)
class BasisFile:
    """A basis on storage, read when it is first needed; small, and can be sent to workers.

    Attributes:
        path: of the file.
        sha256: of its bytes.
    """

    path: str
    sha256: str

    def __reduce__(self) -> tuple[type["BasisFile"], tuple[str, str]]:
        return BasisFile, (self.path, self.sha256)  # not what has been read

    @cached_property
    def basis(self) -> Basis:
        """The basis.

        Raises:
            StorageError: it is not the one that was written.
        """
        try:
            tensors = load(self.read())
            return Basis(tensors["mean"], tensors["components"])
        except (SafetensorError, KeyError) as error:
            raise StorageError(f"{self.path}: is not a basis ({error})") from error

    def copy_to(self, folder: str) -> None:
        """Write the same file into `folder`.

        Raises:
            StorageError: it is not the one that was written.
        """
        storage.write_bytes(storage.join(folder, BASIS), self.read())

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            StorageError: they are not those that were written.
        """
        data = storage.read_bytes(self.path)
        if storage.sha256_of_bytes(data) != self.sha256:
            raise StorageError(
                f"{self.path}: is damaged (its hash is not the recorded one); run the same command "
                "again, to make it again"
            )
        return data
