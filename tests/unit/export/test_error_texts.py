from builder.export.error_texts import describe_exception, describe_torchscript_error, shorten

SCRIPT_ERROR = """
Python builtin <built-in function open> is currently not supported in Torchscript:
  File "/home/me/nets.py", line 5
    def forward(self, x):
        return open(x)
               ~~~~ <--- HERE
'Net.forward' is being compiled since it was called from here
  File "/home/me/other.py", line 9
"""
TRACE_ERROR = (
    "Tracer cannot infer type of ('a', array([1.,\n 2.]))\n:Only tensors and tuples of tensors"
)


def test_torchscript_error_is_reason_and_the_users_line() -> None:
    assert describe_torchscript_error(RuntimeError(SCRIPT_ERROR)) == (
        "Python builtin <built-in function open> is currently not supported in Torchscript "
        "(/home/me/nets.py:5: return open(x))"
    )


def test_tracer_error_leaves_the_printed_tensor_out() -> None:
    assert describe_torchscript_error(RuntimeError(TRACE_ERROR)) == (
        "Only tensors and tuples of tensors"
    )


def test_messages_are_one_short_line() -> None:
    assert shorten("\n\n  first\nsecond") == "first"
    assert len(shorten("x" * 10_000)) == 240
    assert shorten("") == ""


def test_exceptions_name_the_users_deepest_frame() -> None:
    def fail() -> None:
        raise KeyError("weights")

    try:
        fail()
    except KeyError as error:
        text = describe_exception(error)
    assert text.startswith("KeyError: 'weights' (")
    assert "test_error_texts.py:" in text
    assert text.endswith("in fail)")


def test_exception_that_was_never_raised_has_no_place() -> None:
    assert describe_exception(ValueError()) == "ValueError"
