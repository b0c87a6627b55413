//! The way of a request, on one screen.
