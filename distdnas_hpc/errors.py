"""Ends of the work that are no fault of the code."""


class UserError(Exception):
    """A mistake in a config, a command or an input file, told in one sentence.

    The sentence says what is wrong, where (file, line, key, task) and what to do. The command line prints it without a
    traceback and exits with status 2. Every other exception is a failure of the work and keeps its traceback in the
    task's log.
    """


class DivergedError(RuntimeError):
    """A loss stopped being finite or grew beyond bounds; the text says at which step, and which module began it.

    A finding about the experiment rather than a failure: the task is marked `diverged`.
    """
