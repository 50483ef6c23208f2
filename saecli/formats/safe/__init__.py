"""The one place that opens files which could run code or eat memory: torch files, pickles, numpy files, safetensors.

Nothing that such a file names is imported or called, and what it claims is compared with its size before anything is
allocated. What is refused is an InputError that names the file and the reason.
"""

from saecli.formats.safe.numpy_files import load_npy, load_npz, npz_shapes
from saecli.formats.safe.pickles import Inert
from saecli.formats.safe.tensor_headers import TensorHeader, load_safetensors, safetensors_header, safetensors_metadata
from saecli.formats.safe.torch_files import load_torch, read_pickled_values

__all__ = [
    "Inert",
    "TensorHeader",
    "load_npy",
    "load_npz",
    "load_safetensors",
    "load_torch",
    "npz_shapes",
    "read_pickled_values",
    "safetensors_header",
    "safetensors_metadata",
]
