"""Refuses a name that no project and no module can have, before a file is written."""

import re
import sys

NAME = {{ cookiecutter.__name | tojson }}

if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", NAME):
    sys.exit(f"'{NAME}' can't be a name: use lower-case letters and digits, words joined by dashes, such as my-shop")
