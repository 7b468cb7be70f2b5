//! The parts of the line that need no root and no node.
