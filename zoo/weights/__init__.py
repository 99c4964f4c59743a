"""Published weights of other libraries into models of the zoo: a map of names for each source."""
