"""The tests of the target: each rule of the Singer specification, with a database of its own for each case."""

from singerkit_testing import SuiteConfig, get_target_test_class

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}

DATABASE = "sqlite:///{workdir}/out.db"

Test{{ cookiecutter.__class }} = get_target_test_class(
    {{ cookiecutter.__class }},
    config={"sqlalchemy_url": DATABASE},
    suite_config=SuiteConfig(reader=DATABASE),
)
