import pytest

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
INTERPRETER_ERROR = """The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__/nets.py", line 14, in forward
    l = self.l
    return (l).forward(x, )
            ~~~~~~~~~~ <--- HERE

Traceback of TorchScript, original code (most recent call last):
  File "/home/me/nets.py", line 11, in forward
        if x.size(0) > 9:
            raise ValueError("too many rows")
        return self.l(x)
               ~~~~~~ <--- HERE
        return None
  File "/usr/lib/python3/dist-packages/torch/nn/modules/linear.py", line 114, in forward
        return F.linear(input, self.weight, self.bias)
               ~~~~~~~~ <--- HERE
        # a line of code after the marked one
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


@pytest.mark.parametrize("name", ["RuntimeError", "builtins.ValueError"])
def test_interpreter_error_is_the_last_line_and_the_users_line(name: str) -> None:
    error = RuntimeError(f"{INTERPRETER_ERROR}{name}: too many rows\nmore\n")
    assert describe_exception(error) == (
        f"{name.removeprefix('builtins.')}: too many rows (/home/me/nets.py:11: return self.l(x))"
    )


def test_interpreter_error_without_original_code_has_no_place() -> None:
    text = INTERPRETER_ERROR.replace("/home/me", "/opt/torch")
    assert describe_exception(RuntimeError(f"{text}ValueError: a\n")) == "ValueError: a"


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
