"""The extension module libbatch._native: the public headers of libbatch, compiled with cffi.

cffi reads no preprocessor directives, so it gets what the compiler makes of the headers; types of the
system's own headers it knows. What only the preprocessor sees (BATCH_OPTIONS_INIT, BATCH_FOREVER)
are functions too, in the headers: batch_options_init, batch_forever.
"""

import os
import shlex
import subprocess
import tempfile

from cffi import FFI

HEADERS = ["batch", "store", "metrics", "completions", "driven", "sqlite", "postgres"]
PACKAGES = ["batch", "batch-sqlite", "batch-postgres"]

# Called by libbatch, written in libbatch/__init__.py.
CALLBACKS = """
extern "Python" batch_verdict libbatch_run(void *resource, void *arg);
extern "Python" void libbatch_done(batch_op *op, const batch_result *result);
extern "Python" void libbatch_transaction_run(void *const *resources, batch_transaction *transaction);
extern "Python" void libbatch_transaction_done(batch_transaction *transaction,
                                               const batch_result *result);
extern "Python" int libbatch_decode(batch_call *call, void *resource, const void *bytes,
                                    size_t bytes_size, void *arg);
extern "Python" int libbatch_encode(batch_call *call, void *resource, const void **ret_bytes,
                                    size_t *ret_bytes_size, void *arg);
extern "Python" void libbatch_release(void *resource, void *arg);
"""


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def pkg_config(*options):
    return shlex.split(output_of("pkg-config", *options, *PACKAGES))


def declarations(include_folders):
    """The headers, preprocessed, with empty headers of the language."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ["stdbool.h", "stddef.h", "stdint.h"]:
            open(os.path.join(folder, name), "w").close()
        source = os.path.join(folder, "all.c")
        with open(source, "w") as file:
            file.writelines(f"#include <batch/{header}.h>\n" for header in HEADERS)
        compiler = shlex.split(os.environ.get("CC", "cc"))
        includes = [f"-I{each}" for each in include_folders]
        return output_of(*compiler, "-E", "-P", "-nostdinc", "-U__GNUC__", f"-I{folder}", *includes, source)


def make():
    flags = pkg_config("--cflags-only-I", "--keep-system-cflags")
    include_folders = [flag[2:] for flag in flags]
    link = pkg_config("--libs")
    ffi = FFI()
    ffi.cdef(declarations(include_folders) + CALLBACKS)
    ffi.set_source(
        "libbatch._native",
        "".join(f"#include <batch/{header}.h>\n" for header in HEADERS),
        include_dirs=include_folders,
        library_dirs=[flag[2:] for flag in link if flag.startswith("-L")],
        libraries=[flag[2:] for flag in link if flag.startswith("-l")],
    )
    return ffi


ffi = make()
