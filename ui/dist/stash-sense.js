(function(e,t,n,r,i,a){var o=Object.create,s=Object.defineProperty,c=Object.getOwnPropertyDescriptor,l=Object.getOwnPropertyNames,u=Object.getPrototypeOf,d=Object.prototype.hasOwnProperty,f=(e,t,n,r)=>{if(t&&typeof t==`object`||typeof t==`function`)for(var i=l(t),a=0,o=i.length,u;a<o;a++)u=i[a],!d.call(e,u)&&u!==n&&s(e,u,{get:(e=>t[e]).bind(null,u),enumerable:!(r=c(t,u))||r.enumerable});return e};e=((e,t,n)=>(n=e==null?{}:o(u(e)),f(s(n,`default`,{value:e,enumerable:!0}),e)))(e,1);function p(e,t){return t}function m(e){return e}function h(){return e.default.createElement(`div`,null)}var g=class extends e.default.Component{constructor(...e){super(...e),this.state={}}static getDerivedStateFromError(e){return{error:e}}render(){let{error:t}=this.state;return t===void 0?this.props.children??null:e.default.createElement(`div`,{className:`alert alert-warning sense-fault`,role:`alert`},`Stash Sense cannot show `,this.props.what,` (`,t.message,`).`,` `,e.default.createElement(`button`,{type:`button`,className:`btn btn-sm btn-secondary`,onClick:()=>this.setState({error:void 0})},`Try again`))}};function _(){return e.default.createElement(`div`,null)}function v(){return e.default.createElement(`div`,null)}var y=`/plugins/stash-sense`,b=[{path:y,name:`Review`,what:`what waits for you`,Page:_},{path:`${y}/dashboard`,name:`Dashboard`,what:`the dashboard`,Page:h},{path:`${y}/settings`,name:`Settings`,what:`the settings`,Page:v}];function x(){return e.default.createElement(`div`,{className:`sense-pages container-fluid`},e.default.createElement(t.Nav,{as:`nav`,variant:`tabs`,className:`sense-pages-nav`,"aria-label":`Stash Sense`},b.map(({path:n,name:r})=>e.default.createElement(t.Nav.Item,{key:n},e.default.createElement(i.NavLink,{exact:!0,to:n,className:`nav-link`},r)))),e.default.createElement(i.Switch,null,b.map(({path:t,what:n,Page:r})=>e.default.createElement(i.Route,{exact:!0,key:t,path:t},e.default.createElement(g,{what:n},e.default.createElement(r,null)))),e.default.createElement(i.Redirect,{to:y})))}function S(){return e.default.createElement(t.Nav.Link,{as:`div`,eventKey:y,className:`col-4 col-sm-3 col-md-2 col-lg-auto`},e.default.createElement(i.NavLink,{to:y,className:`minimal p-4 p-xl-2 d-flex d-xl-inline-block flex-column justify-content-between align-items-center btn btn-primary`},e.default.createElement(r.FontAwesomeIcon,{icon:n.faWandMagicSparkles,className:`fa-icon nav-menu-icon d-block d-xl-inline mb-2 mb-xl-0 mr-xl-2`}),e.default.createElement(`span`,null,`Sense`)))}var C;function w(e){C??(C=(0,a.gql)(`mutation Operate($plugin: ID!, $args: Map) {
  runPluginOperation(plugin_id: $plugin, args: $args)
}

mutation RunTask($plugin: ID!, $description: String, $args: Map) {
  runPluginTask(plugin_id: $plugin, description: $description, args_map: $args)
}

mutation StopJob($job: ID!) {
  stopJob(job_id: $job)
}

mutation SaveSettings($plugin: ID!, $input: Map!) {
  configurePlugin(plugin_id: $plugin, input: $input)
}

query Settings {
  configuration {
    plugins
  }
}

query Queue {
  jobQueue {
    ...Job
  }
}

subscription Jobs {
  jobsSubscribe {
    type
    job {
      ...Job
    }
  }
}

fragment Job on Job {
  id
  status
  description
  progress
  error
  subTasks
}
`));let t=C.definitions.filter(t=>t.kind===`FragmentDefinition`||t.kind===`OperationDefinition`&&t.name?.value===e),n=t.filter(e=>e.kind!==`FragmentDefinition`||T(t,e.name.value));return{kind:C.kind,definitions:n}}function T(e,t){return e.some(e=>e.kind===`OperationDefinition`&&JSON.stringify(e.selectionSet).includes(`"${t}"`))}var E=D(document.currentScript?.src??``);new URL(document.baseURI).pathname.replace(/\/$/,``);function D(e){let t=/\/plugin\/([^/]+)\/javascript/.exec(e);return t?.[1]===void 0?`stash-sense`:decodeURIComponent(t[1])}function O(){return window.PluginApi}var k=class extends Error{constructor(...e){super(...e),this.name=`SenseError`}get needsSetUp(){return this.message.endsWith(`run the task Set up`)}};function A(e){return e instanceof k?e:new k(e instanceof Error?e.message:String(e))}async function j(e,t){try{let{data:n}=await O().utils.StashService.getClient().mutate({mutation:w(`Operate`),variables:{plugin:E,args:{...t,mode:e}},fetchPolicy:`no-cache`}),r=n?.runPluginOperation;if(typeof r!=`object`||!r)throw new k(`Stash Sense gave no answer to ${e}: see Stash's log`);return r}catch(e){throw A(e)}}async function M(e,t,n={}){try{let{data:r}=await O().utils.StashService.getClient().mutate({mutation:w(`RunTask`),variables:{plugin:E,description:t,args:{...n,mode:e}}});return r?.runPluginTask??``}catch(e){throw A(e)}}async function N(){try{let{data:e}=await O().utils.StashService.getClient().query({query:w(`Queue`),fetchPolicy:`no-cache`});return e.jobQueue??[]}catch(e){throw A(e)}}function P(e,t){let n=O().utils.StashService.getClient().subscribe({query:w(`Jobs`)}).subscribe({next:({data:t})=>{t&&e(t.jobsSubscribe)},error:e=>t(A(e))});return()=>n.unsubscribe()}function F(t,n,r){let[i,a]=(0,e.useState)({}),[o,s]=(0,e.useState)(n!==void 0),[c,l]=(0,e.useState)(0),u=n===void 0?void 0:JSON.stringify(n);(0,e.useEffect)(()=>{if(u===void 0)return;let e=!1,n,i=async()=>{s(!0);try{let n=await j(t,JSON.parse(u));e||a({told:n})}catch(t){let n=t;e||a(e=>({...e,error:n}))}e||(s(!1),r!==void 0&&(n=window.setTimeout(i,r)))};return i(),()=>{e=!0,window.clearTimeout(n)}},[t,u,r,c]);let d=(0,e.useCallback)(()=>l(e=>e+1),[]);return{told:i.told,error:i.error,loading:o,reload:d}}var I=new Set([`FINISHED`,`CANCELLED`,`FAILED`]);function L(t){let[n,r]=(0,e.useState)([]),i=(0,e.useRef)(t);return i.current=t,(0,e.useEffect)(()=>{let e=!1,t=e=>r(t=>t.some(t=>t.id===e.id)?t.map(t=>t.id===e.id?e:t):[...t,e]),n=P(({type:e,job:n})=>{e===`REMOVE`||I.has(n.status)?(r(e=>e.filter(e=>e.id!==n.id)),e===`REMOVE`&&i.current?.(n)):t(n)},()=>void 0);return N().then(n=>{if(!e)for(let e of n)t(e)}).catch(()=>void 0),()=>{e=!0,n()}},[]),n}function R({error:n,again:r}){return n.needsSetUp?e.default.createElement(z,{error:n,again:r}):e.default.createElement(t.Alert,{variant:`danger`,className:`sense-trouble`},e.default.createElement(`p`,null,n.message),e.default.createElement(t.Button,{size:`sm`,variant:`secondary`,onClick:r},`Try again`))}function z({error:n,again:r}){let[i,a]=(0,e.useState)(),[o,s]=(0,e.useState)(),c=L(e=>{e.id===i&&(a(void 0),r())}).find(e=>e.id===i);return e.default.createElement(t.Alert,{variant:`info`,className:`sense-trouble`},e.default.createElement(`h5`,null,`Stash Sense is not ready yet`),e.default.createElement(`p`,null,n.message,`.`),e.default.createElement(`p`,null,`Set up installs what it needs beside Stash's own settings and fetches its networks. The addresses that it reaches are said in Stash's log before; afterwards nothing leaves this machine.`),o&&e.default.createElement(`p`,{className:`text-danger`},o.message),i===void 0?e.default.createElement(e.default.Fragment,null,e.default.createElement(t.Button,{onClick:async()=>{s(void 0);try{a(await M(`set_up`,`Stash Sense: Set up`))}catch(e){s(e)}}},`Set up`),` `,e.default.createElement(t.Button,{variant:`secondary`,onClick:r},`Look again`)):e.default.createElement(t.ProgressBar,{animated:!0,now:Math.max(.03,c?.progress??0)*100,"aria-label":`Setting up`,label:c===void 0?`waiting in Stash's queue`:void 0}))}function B({scene:t}){let{told:n,error:r,reload:i}=F(`scene`,{scene_id:t.id});return r?e.default.createElement(R,{error:r,again:i}):e.default.createElement(`p`,null,n?.suggestions.length,` suggestions`)}var V=`stash-sense-panel`,{patch:H,register:U}=O();H.before(`ScenePage.Tabs`,(n,...r)=>[{...n,children:e.default.createElement(e.default.Fragment,null,n.children,e.default.createElement(t.Nav.Item,null,e.default.createElement(t.Nav.Link,{eventKey:V},`Sense`)))},...r]),H.before(`ScenePage.TabContent`,(n,...r)=>[{...n,children:e.default.createElement(e.default.Fragment,null,n.children,e.default.createElement(t.Tab.Pane,{eventKey:V,className:`sense-scene-pane`},e.default.createElement(g,{what:`this scene's suggestions`},e.default.createElement(B,{key:n.scene.id,scene:n.scene,seek:n.setTimestamp}))))},...r]),H.after(`SceneCard`,(e,...t)=>p(e,t[t.length-1])),H.before(`SceneListOperations`,(e,...t)=>[m(e),...t]),H.instead(`PluginSettings`,(t,...n)=>{let r=n[n.length-1];return t.pluginID===E?e.default.createElement(g,{what:`its settings`},e.default.createElement(v,null)):r(t)}),H.before(`MainNavBar.MenuItems`,(t,...n)=>[{...t,children:e.default.createElement(e.default.Fragment,null,t.children,e.default.createElement(g,{what:`its link`},e.default.createElement(S,null)))},...n]),U.route(y,x)})(PluginApi.React,PluginApi.libraries.Bootstrap,PluginApi.libraries.FontAwesomeSolid,PluginApi.libraries.ReactFontAwesome,PluginApi.libraries.ReactRouterDOM,PluginApi.libraries.Apollo);