"""All dialects by name."""

from orchestrator.testing.dialects.hostile import HOSTILE
from orchestrator.testing.dialects.odd_forms import ODD_FORMS
from orchestrator.testing.dialects.servers.gateways import GATEWAYS
from orchestrator.testing.dialects.servers.hosted import HOSTED_SERVERS
from orchestrator.testing.dialects.servers.local import LOCAL_SERVERS
from orchestrator.testing.dialects.servers.thinking import THINKING_SERVERS
from orchestrator.testing.dialects.unknown_words import UNKNOWN_WORDS

SERVERS = {dialect.name: dialect for dialect in (*LOCAL_SERVERS, *HOSTED_SERVERS, *THINKING_SERVERS, *GATEWAYS)}
"""Dialects of servers that exist."""

DIALECTS = {**SERVERS, **{dialect.name: dialect for dialect in (*HOSTILE, *ODD_FORMS, *UNKNOWN_WORDS)}}
"""All dialects, with those that no server is known to speak."""
