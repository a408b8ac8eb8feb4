"""What is not installed, or not fit, told in one line with the command that mends it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import sys
from pathlib import Path

from seg_node.errors import ConfigError, first_line

RUNTIMES = ('openvino', 'onnxruntime')
PYDANTIC = (2, 6)
VIEW = 'view'
"""The extra of Rerun's viewer."""
_FROM_APT = {'rclpy': 'ros-{distro}-rclpy', 'launch_ros': 'ros-{distro}-launch-ros'}


def install_command(extra: str) -> str:
    """The command that installs what `extra` of pyproject.toml names, as this machine needs it.

    Under a ROS distribution the virtual environment beside the workspace, in another virtual
    environment pip, else a virtual environment in the clone. The viewer needs a newer numpy than
    distributions have: it lives in the clone's virtual environment.
    """
    clone = Path(__file__).resolve().parent.parent
    known = (clone / 'Makefile').is_file() and (clone / 'pyproject.toml').is_file()
    make = f'make -C {clone}' if known else 'in the clone of seg_node: make'
    if 'ROS_DISTRO' in os.environ:
        if extra == VIEW:
            return f'{make} view'
        return f'{make} ros-setup'
    if sys.prefix != sys.base_prefix and known:
        return f"{sys.executable} -m pip install '{clone}[{extra}]'"
    return f'{make} view' if extra == VIEW else f'{make} setup'


def no_runtime() -> str:
    """A line where neither runtime is installed, else empty."""
    if any(importlib.util.find_spec(name) for name in RUNTIMES):
        return ''
    return f'runtime: neither {" nor ".join(RUNTIMES)} is installed: {install_command("runtime")}'


def array_problem() -> str:
    """A line where numpy and OpenCV cannot be imported together, else empty.

    OpenCV of a distribution is built for the numpy of that distribution; pip's numpy 2 in the
    same Python ends its import with pages of text, which are swallowed here.
    """
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            numpy = importlib.import_module('numpy')
        except ImportError as error:
            return f'numpy: cannot be imported ({first_line(error)}): {_numpy_help()}'
        try:
            importlib.import_module('cv2')
        except ModuleNotFoundError as error:
            return missing(error)
        except (ImportError, AttributeError) as error:
            place = Path(str(numpy.__file__)).parents[1]
            return (
                f'OpenCV: not usable with numpy {numpy.__version__} of {place} '
                f'({first_line(error)}): {_numpy_help()}'
            )
    return ''


def pydantic_problem() -> str:
    """A line where pydantic is older than 2.6, as in apt of Humble and Jazzy, else empty."""
    from importlib import metadata  # slow, and every start passes here

    try:
        version = metadata.version('pydantic')
    except metadata.PackageNotFoundError:
        return f'pydantic: not installed: {install_command("runtime")}'
    if tuple(int(part) for part in version.split('.')[:2]) >= PYDANTIC:
        return ''
    least = '.'.join(map(str, PYDANTIC))
    return f'pydantic: expected {least} or newer, got {version}: {install_command("runtime")}'


def missing(error: ImportError) -> str:
    """The line for a failed import, by what failed."""
    top = (error.name or '').partition('.')[0]
    if top == 'pydantic' and not isinstance(error, ModuleNotFoundError):
        return pydantic_problem() or f'pydantic: {first_line(error)}'
    if top in ('numpy', 'cv2') and not isinstance(error, ModuleNotFoundError):
        return array_problem() or f'{top}: {first_line(error)}'
    if not isinstance(error, ModuleNotFoundError):
        return f'{top or "import"}: {first_line(error)}: {install_command("runtime")}'
    if 'ROS_DISTRO' in os.environ and (top in _FROM_APT or top.endswith(('_msgs', '_srvs'))):
        distro = os.environ['ROS_DISTRO']
        name = _FROM_APT.get(top, f'ros-{{distro}}-{top.replace("_", "-")}')
        return f'{top}: not installed: sudo apt install {name.format(distro=distro)}'
    if top in ('numpy', 'cv2') and 'ROS_DISTRO' in os.environ:
        name = {'cv2': 'opencv'}.get(top, top)
        return f'{top}: not installed: sudo apt install python3-{name}'
    return f'{top}: not installed: {install_command(_EXTRAS.get(top, "runtime"))}'


def no_rerun() -> str:
    """A line where Rerun is not installed, else empty."""
    if importlib.util.find_spec('rerun') is not None:
        return ''
    return f'rerun: not installed: {install_command(VIEW)}'


def require_rerun() -> None:
    """Raise `ConfigError` that says how to get Rerun where it is not installed."""
    if line := no_rerun():
        raise ConfigError(line)


_EXTRAS = {
    **dict.fromkeys(('carla', 'msgpack', 'numba'), 'sim'),
    **dict.fromkeys(('rclpy', 'sensor_msgs', 'nav_msgs', 'diagnostic_msgs'), 'ros'),
    **dict.fromkeys(('rerun', 'rerun_cli', 'pyarrow'), VIEW),
}


def _numpy_help() -> str:
    if 'ROS_DISTRO' in os.environ:
        return 'pip uninstall numpy, then ' + install_command('runtime')
    return install_command('runtime')
