"""Models: networks of recurrent layers, one for each kind of job."""
