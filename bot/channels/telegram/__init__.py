"""Telegram: the same conversation in a private chat or one topic of a group. `front.py` puts the parts together:

`place` where and with which token, `inbox` what comes in is on disk before the server forgets it, `gate` who may speak and what counts as
their own words, `pages` replies as messages, `pace` as fast as the server allows, `sending` one message at a time into a chat.
"""

import os

os.environ.setdefault("PTB_TIMEDELTA", "true")  # as the next version of the client has times; else it warns at each 429
