package wiring

import (
	"fmt"
	"path/filepath"

	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Enabled are the package managers that requests may name.
func Enabled(cfg config.Config, known []resolver.Descriptor) ([]resolver.Descriptor, error) {
	enabled, err := resolver.Enabled(known, cfg.PackageManagers)
	if err != nil {
		return nil, settingf("CACHITO_PACKAGE_MANAGERS: %v", err)
	}
	return enabled, nil
}

// resolverSettings hands every package manager the settings that it declares.
func resolverSettings(cfg config.Config, enabled []resolver.Descriptor, toolDir string) (map[string]resolver.Settings, error) {
	if cfg.ToolDir != "" {
		toolDir = cfg.ToolDir
	}
	tools, err := filepath.Abs(toolDir)
	if err != nil {
		return nil, fmt.Errorf("CACHITO_TOOL_DIR: %w", err)
	}
	settings := map[string]resolver.Settings{}
	for _, d := range enabled {
		environment := map[string]request.EnvironmentVariable{}
		for name, v := range cfg.DefaultEnvironment[d.Name] {
			environment[name] = request.EnvironmentVariable(v)
		}
		settings[d.Name] = resolver.Settings{Values: cfg.Managers[d.Name], Environment: environment, Local: resolver.LocalSettings{ToolDir: tools}}
	}
	return settings, nil
}
