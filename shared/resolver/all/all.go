// Package all lists the package managers: one line each, in the order in which the API shows them.
package all

import (
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo"
	"github.com/cachito-serverless/cachito/shared/resolver/generic"
	"github.com/cachito-serverless/cachito/shared/resolver/gitsubmodule"
	"github.com/cachito-serverless/cachito/shared/resolver/gomod"
	"github.com/cachito-serverless/cachito/shared/resolver/npm"
	"github.com/cachito-serverless/cachito/shared/resolver/pip"
	"github.com/cachito-serverless/cachito/shared/resolver/pnpm"
	"github.com/cachito-serverless/cachito/shared/resolver/rubygems"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn"
)

// List returns every package manager the API knows. Those whose New is nil are known by name only.
func List() []resolver.Descriptor {
	return []resolver.Descriptor{
		gomod.Descriptor(),
		npm.Descriptor(),
		pip.Descriptor(),
		gitsubmodule.Descriptor(),
		yarn.Descriptor(),
		rubygems.Descriptor(),
		pnpm.Descriptor(),
		cargo.Descriptor(),
		generic.Descriptor(),
	}
}
