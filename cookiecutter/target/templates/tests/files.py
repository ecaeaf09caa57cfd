"""The tests of the target: each rule of the Singer specification, with a folder of its own for each case."""

from singerkit_testing import SuiteConfig, get_target_test_class

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}

FOLDER = "{workdir}/out"

Test{{ cookiecutter.__class }} = get_target_test_class(
    {{ cookiecutter.__class }},
    config={"folder": FOLDER},
    suite_config=SuiteConfig(reader=FOLDER),
)
