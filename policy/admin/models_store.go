package admin

// ModelStore is what there is to do with models at run time.
type ModelStore struct{}
