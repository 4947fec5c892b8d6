//! Byte vectors of the protocol: the program that writes them, and the comparison with other codecs.
