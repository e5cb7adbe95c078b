"""Cases for `test_parity.py`: a module for each component, whose `cases()` lists them."""
