"""A name that another tab still imports from here."""  # until all tabs are converted

from editlab.web.core.html import pieces

when = pieces.time
