//! What an investigator and an operator do with a trail, with the program itself.
