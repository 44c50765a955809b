"""A library of four books → attention, with numbers that a pocket calculator can follow.

library     four books, a request, W_Q, W_K and W_V, all in small numbers
slide       what one screen of the lesson shows: a story and tables
story       the librarian's story
steps       the seven steps, from the words of the request to what you carry home
variations  why to divide, the temperature, a mask, a bias, a null key, another W_Q
built_in    the same steps with 384 numbers and the built-in library
"""
