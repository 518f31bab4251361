"""The one kind of error that is the user's to mend."""


class UserError(Exception):
    """A mistake in a config, a command or an input file, told in one sentence.

    The sentence says what is wrong, where (file, line, key, task) and what to do. The command line prints it without a
    traceback and exits with status 2. Every other exception is a failure of the work and keeps its traceback in the
    task's log.
    """
