// Package tools makes the controller of Kueue a dependency, so that go.sum covers all that it needs.
package tools

import _ "sigs.k8s.io/kueue/cmd/kueue"
