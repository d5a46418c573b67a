from setuptools import setup

setup(
    name="libbatch",
    version="0.1.0",
    description="Batch concurrent operations on one key into a single load and save",
    license="MIT",
    python_requires=">=3.9",
    packages=["libbatch"],
    setup_requires=["cffi>=1.12"],
    install_requires=["cffi>=1.12"],
    cffi_modules=["build_native.py:ffi"],
)
