"""How each kind of layer computes, in standard operators."""
