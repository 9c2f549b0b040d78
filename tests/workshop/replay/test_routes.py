from tests.workshop.replay.happened import event
from wasmguard.lock import prepare
from wasmguard.workshop.replay.routes import Routes


def test_who_is_asked_is_known_without_asking(configured, never_here):
    path = configured("pass", "deny", deny={"tools": '["Edit"]'})
    routes = Routes(prepare(str(path), repin=False).plan)
    assert routes.asked(event()) == ("pass",)
    assert routes.asked(event(tool="Edit")) == ("pass", "deny")
    assert routes.asked(event(name="PostToolUse")) == ()
    assert not routes.stateful


def test_who_remembers_is_known(configured):
    path = configured("pass", "deny", deny={"tools": '["Edit"]', "grants.state": '"1 KiB"'})
    routes = Routes(prepare(str(path), repin=False).plan)
    assert routes.stateful
    assert routes.remembers(event(tool="Edit"))
    assert not routes.remembers(event())


def test_tools_of_any_number_of_names_take_no_room(configured, monkeypatch):
    monkeypatch.setattr("wasmguard.workshop.replay.routes.MOST", 3)
    routes = Routes(prepare(str(configured("pass")), repin=False).plan)
    for number in range(20):
        assert routes.asked(event(tool=f"t{number}")) == ("pass",)
    assert len(routes._known) <= 3
