"""The one exception that stands for a user's mistake."""


class UserError(Exception):
    """A mistake the user can mend: bad path, corrupt image, unknown key, missing extra, full disk.

    Its message is one sentence group: what it means; what was expected; what came; the way out.
    `segtrain.__main__` prints it without a traceback and ends with exit status 2.
    """
