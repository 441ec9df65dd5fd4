// `node node_clients.mjs LIBRARY URL (TOKEN FILE close|keep)…` posts files and prints the status of each answer.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { createRequire } from 'node:module'

const [library, url, ...given] = process.argv.slice(2)
// The packages are those of the browser tests' folder.
const require = createRequire(new URL('../../../e2e/package.json', import.meta.url))

const ways = {
  fetch: async (body, headers) => (await fetch(url, { method: 'POST', body, headers })).status,
  http: (body, headers) =>
    new Promise((done, failed) => {
      const request = http.request(url, { method: 'POST', headers }, (answer) => {
        answer.resume().on('end', () => done(answer.statusCode))
      })
      request.on('error', failed)
      request.end(body)
    }),
  undici: async (body, { connection, ...headers }) => {
    const options = { method: 'POST', body, headers, reset: connection === 'close' }
    const answer = await require('undici').request(url, options)
    await answer.body.dump()
    return answer.statusCode
  },
  axios: async (body, headers) =>
    (await require('axios').post(url, body, { headers, validateStatus: null, proxy: false })).status,
}
for (let at = 0; at < given.length; at += 3) {
  const [token, file, closing] = given.slice(at, at + 3)
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
  if (closing === 'close') headers.connection = 'close'
  console.log(await ways[library](readFileSync(file), headers))
}
process.exit()
