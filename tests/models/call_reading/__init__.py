"""Tests of tool calls as models send them."""
