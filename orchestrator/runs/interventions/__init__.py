"""Interventions of humans in runs that go on, from any process."""
