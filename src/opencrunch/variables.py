"""The environment variables of a sandbox: a closed list, the same everywhere."""

from __future__ import annotations

import os

HASH_SEED = "0"
_PASSED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_CBWR")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_HOME = "/tmp/home"


def thread_variables() -> dict[str, str]:
    """Return the variables on CPU and threads that bear on results: part of a run's identity."""
    from opencrunch.settings import operator_variables

    given = operator_variables((*_PASSED, *_THREADS))
    cores = str(available_cores())
    return {**dict.fromkeys(_THREADS, cores), **given}


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sandbox_variables(hash_seed: str) -> dict[str, str]:
    """Return all variables that a runner starts with."""
    caches = {
        name: f"{_HOME}/{place}"
        for name, place in {
            "XDG_CACHE_HOME": ".cache",
            "XDG_CONFIG_HOME": ".config",
            "XDG_DATA_HOME": ".local/share",
            "XDG_STATE_HOME": ".local/state",
            "MPLCONFIGDIR": ".config/matplotlib",
            "NUMBA_CACHE_DIR": ".cache/numba",
            "CATBOOST_TRAIN_DIR": ".cache/catboost",
            "JOBLIB_TEMP_FOLDER": ".cache/joblib",
            "HF_HOME": ".cache/huggingface",
            "TORCH_HOME": ".cache/torch",
        }.items()
    }
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": _HOME,
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "MPLBACKEND": "Agg",
        "PYTHONHASHSEED": hash_seed,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "TQDM_MININTERVAL": "10",
        **caches,
        **thread_variables(),
    }
