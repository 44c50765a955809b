"""What all commands share: streams, the command line, options.

signals          the signals that ask a process to end
environment      variables → the colors and hyperlinks that the terminal shows
streams          stdout: what it can show, and writing to it
browser          a page that was written → the user's browser
requests         the requests of a command line, or of standard input
progress         stderr while a command works
slides           slides on a terminal, one at a time
argv             a command line → words that typer can parse
completion       how the last word of a command line can go on
catalogs         which catalogs a command line names or means
options          options that several commands share
setting_options  the options that decide how a catalog is asked
"""
