// Package sdks has the providers' own SDKs read the goldens of package adapters: their types must take what is sent to
// providers and to clients, and the fixtures that stand for providers. It is tests only; what the goldens hold
// is made and compared in package adapters.
package sdks
