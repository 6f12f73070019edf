"""Models: networks built of recurrent layers, one for each kind of job."""
