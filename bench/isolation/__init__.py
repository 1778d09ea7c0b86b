"""What a conversation suffers from a neighbour that takes a core and the interpreter lock, and from a node that is killed."""
