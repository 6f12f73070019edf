from contextlib import contextmanager
@contextmanager
def around_kernels():
    yield
