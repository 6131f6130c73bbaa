"""The formats that ship with snnbridge, one module each; they use the public API only."""
