// Made by Cachito: answers the requests of Yarn 2 and newer from the files of this bundle.
const {readFileSync} = require(`fs`);
const {join} = require(`path`);

// URLs, or "<package>/-/<file>" of any registry -> file, relative to the bundle's folder deps/.
const files = FILES;
// References of git dependencies -> file.
const repositories = REPOSITORIES;

const deps = join(__dirname, `..`, `..`);

// URLs are compared as Yarn's URL class writes them, without user info and fragment.
const normalize = target => {
  const url = new URL(`${target}`);
  url.username = url.password = url.hash = ``;
  return url;
};

const byKey = new Map(Object.entries(files).map(([key, file]) => [/^https?:/.test(key) ? normalize(key).href : key, file]));

const find = target => {
  const url = normalize(target);
  if (byKey.has(url.href))
    return byKey.get(url.href);
  const match = decodeURIComponent(url.pathname).match(/((?:@[^/]+\/)?[^/]+\/-\/[^/]+)$/);
  return match !== null && byKey.has(match[1]) ? byKey.get(match[1]) : null;
};

module.exports = {
  name: `plugin-cachito`,
  factory: require => {
    const {YarnVersion, structUtils, tgzUtils} = require(`@yarnpkg/core`);

    // Yarn's own archive of a file.
    const fetchFile = async (file, locator, opts) => {
      const expectedChecksum = opts.checksums.get(locator.locatorHash) || null;
      const prefixPath = structUtils.getIdentVendorPath(locator);
      const [packageFs, releaseFs, checksum] = await opts.cache.fetchPackageFromCache(locator, expectedChecksum, {
        onHit: () => opts.report.reportCacheHit(locator),
        onMiss: () => opts.report.reportCacheMiss(locator),
        loader: async () => await tgzUtils.convertToZip(readFileSync(join(deps, file)), {
          // Nothing more: Yarn 3.2 sends all of this to a worker.
          compressionLevel: opts.project.configuration.get(`compressionLevel`),
          prefixPath,
          stripComponents: 1,
        }),
        skipIntegrityCheck: opts.skipIntegrityCheck,
        ...opts.cacheOptions,
      });
      return {packageFs, releaseFs, prefixPath, checksum};
    };

    const plainReference = locator => locator.reference.replace(/::.*$/, ``);

    const repositoryOf = locator => {
      const reference = plainReference(locator);
      return Object.hasOwnProperty.call(repositories, reference) ? repositories[reference] : null;
    };

    const hooks = {
      wrapNetworkRequest: async (executor, {target}) => async () => {
        const file = find(target);
        if (file === null)
          throw new Error(`${target} is not in the bundle, and there is no other network in a build from it`);
        return {body: readFileSync(join(deps, file)), headers: {}, statusCode: 200};
      },

      fetchHostedRepository: async (previous, locator, opts) => {
        const file = repositoryOf(locator);
        return previous !== null || file === null ? previous : await fetchFile(file, locator, opts);
      },
    };

    if (!`${YarnVersion}`.startsWith(`2.`))
      return {hooks};

    // Yarn 2 has no hook for requests: a fetcher of our own does it, which must come before Yarn's own ones.
    const fileOf = locator => {
      const reference = plainReference(locator);
      const archive = locator.reference.match(/::(?:.*&)?__archiveUrl=([^&]*)/);
      if (archive !== null)
        return find(decodeURIComponent(archive[1]));
      if (reference.startsWith(`npm:`))
        return find(`https://registry/${structUtils.stringifyIdent(locator)}/-/${locator.name}-${reference.slice(4)}.tgz`);
      if (/^https?:/.test(reference) && !Object.hasOwnProperty.call(repositories, reference))
        return find(reference);
      return repositoryOf(locator);
    };

    const fetcher = class {
      supports(locator) {
        return fileOf(locator) !== null;
      }

      getLocalPath() {
        return null;
      }

      async fetch(locator, opts) {
        return await fetchFile(fileOf(locator), locator, opts);
      }
    };

    return {
      fetchers: [fetcher],
      hooks: {
        reduceDependency: async (dependency, {configuration}) => {
          const [first] = configuration.plugins.keys();
          const own = configuration.plugins.get(`plugin-cachito`);
          if (first !== `plugin-cachito` && own !== undefined)
            configuration.plugins = new Map([[`plugin-cachito`, own], ...configuration.plugins]);
          return dependency;
        },
      },
    };
  },
};
