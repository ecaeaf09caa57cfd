"""Runs `tap | target` in production: supervision, state, projects, history, deployment, scale-out.

It knows commands, never authors' classes: any tap, mapper and target of any SDK and language can be run.
"""
