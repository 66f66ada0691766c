# Skyport and the Copilot runtime in one image. As a CLI server alone: --entrypoint copilot-runtime.
#
#   docker build -t skyport .
#   config/examples/container.yaml says how to run it, docker-compose.yml runs several.

FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Without scripts: `prepare` compiles, and there is nothing to compile yet.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY config ./config
COPY proxy ./proxy
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:20-slim
# For the agents' tools and for model providers with https addresses.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY config/skyport.yaml config/skyport.schema.json ./config/
COPY config/examples/container.yaml /etc/skyport/skyport.yaml
# Where the runtime lies depends on the platform of the image; under this name it is always found.
RUN ln -s "$(node -e "import('/app/dist/proxy/fleet/runtime.js').then(({ findRuntime }) => console.log(findRuntime().command[0]))")" /usr/local/bin/copilot-runtime \
 && ln -s /app/dist/proxy/main.js /usr/local/bin/skyport && chmod +x /app/dist/proxy/main.js \
 && install -d -o node -g node -m 700 /data \
 && install -d -o node -g node /workspaces
USER node
VOLUME ["/data", "/workspaces"]
EXPOSE 4321 4380
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:4380/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Run it with --init (compose: `init: true`): what an agent's shell leaves behind is PID 1's to clear away.
ENTRYPOINT ["node", "/app/dist/proxy/main.js"]
CMD ["start", "--config", "/etc/skyport/skyport.yaml"]
