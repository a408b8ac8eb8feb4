"""An embedded server that speaks CARLA's wire protocol: drive it with the unmodified client.

`run_server` serves in this process until it is told to end; `start_server_process` starts one
beside a program.  The client holds the interpreter's lock in some calls, so server and client
must be different processes.
"""

from seg_node_sim.server.options import ServerOptions
from seg_node_sim.server.process import RunningServer, start_server_process

__all__ = ['RunningServer', 'ServerOptions', 'run_server', 'start_server_process']


def run_server(options: ServerOptions) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status (0, or 1 when it cannot start)."""
    # The world pulls in the renderer; programs that only start a server do not need it.
    from seg_node_sim.server.app import serve

    return serve(options)
