// Made by Cachito: answers the requests of Yarn 2 and newer from the files of this bundle.
const {readFileSync} = require(`fs`);
const {join} = require(`path`);

// URLs, or "<package>/-/<file>" of any registry -> file, relative to the bundle's folder deps/.
const files = FILES;
// References of git dependencies -> file.
const repositories = REPOSITORIES;

const deps = join(__dirname, `..`, `..`);

const find = target => {
  const url = new URL(`${target}`);
  url.username = url.password = url.hash = ``;
  if (Object.hasOwnProperty.call(files, url.href))
    return files[url.href];
  const match = decodeURIComponent(url.pathname).match(/((?:@[^/]+\/)?[^/]+\/-\/[^/]+)$/);
  return match !== null && Object.hasOwnProperty.call(files, match[1]) ? files[match[1]] : null;
};

module.exports = {
  name: `plugin-cachito`,
  factory: require => {
    const {structUtils, tgzUtils} = require(`@yarnpkg/core`);

    return {
      hooks: {
        wrapNetworkRequest: async (executor, {target}) => async () => {
          const file = find(target);
          if (file === null)
            throw new Error(`${target} is not in the bundle, and there is no other network in a build from it`);
          return {body: readFileSync(join(deps, file)), headers: {}, statusCode: 200};
        },

        fetchHostedRepository: async (previous, locator, opts) => {
          const reference = locator.reference.replace(/::.*$/, ``);
          if (previous !== null || !Object.hasOwnProperty.call(repositories, reference))
            return previous;
          const expectedChecksum = opts.checksums.get(locator.locatorHash) || null;
          const prefixPath = structUtils.getIdentVendorPath(locator);
          const [packageFs, releaseFs, checksum] = await opts.cache.fetchPackageFromCache(locator, expectedChecksum, {
            onHit: () => opts.report.reportCacheHit(locator),
            onMiss: () => opts.report.reportCacheMiss(locator),
            loader: async () => await tgzUtils.convertToZip(readFileSync(join(deps, repositories[reference])), {
              configuration: opts.project.configuration,
              compressionLevel: opts.project.configuration.get(`compressionLevel`),
              prefixPath,
              stripComponents: 1,
            }),
            skipIntegrityCheck: opts.skipIntegrityCheck,
            ...opts.cacheOptions,
          });
          return {packageFs, releaseFs, prefixPath, checksum};
        },
      },
    };
  },
};
