def test_its_help_says_what_a_mapper_does(run):
    done = run("mapper", "--help")
    assert "rewrites them" in done.stdout
    assert "tap-x --config tap.json | mapper-x" in done.stdout
