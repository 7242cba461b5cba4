"""The page in LangGraph's server (`langgraph dev`), as `"http": {"app": …}` of a langgraph.json names it.

It is at `/orchestrator`, beside the server's own addresses, and shows the database that `orchestrator.server.studio`
shares: `ORCHESTRATOR_DB`, or that under the user's data folder. The server's own runs are run by the server, so they
are answered there or here, and go on there.
"""

import os

from starlette.applications import Starlette
from starlette.routing import Mount

from orchestrator.server.app import create_app

app = Starlette(routes=[Mount("/orchestrator", create_app(os.environ.get("ORCHESTRATOR_DB")))])
